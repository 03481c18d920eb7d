"""How clinicians word what they see, graded 0 (mild) to 3 (grave). Each scale is read off severity with noise.

No phrase names an outcome: a grave phrase only makes death likelier, as in a real chart.
"""

from __future__ import annotations

GRADED: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "appearance": (
        ("NAD", "comfortable, <sitting up|eating breakfast|watching TV>", "well appearing", "pleasant, <in a chair|conversant>"),
        ("mildly uncomfortable", "<tired|fatigued> but <interactive|appropriate>", "in mild distress", "looks <older than stated age|washed out>"),
        ("ill appearing", "<anxious|restless> and tachypneic", "moderate distress", "weak, <pale|diaphoretic>", "frail"),
        ("toxic appearing", "critically ill", "<cachectic|mottled>, minimally responsive", "in extremis", "anasarca, <pale|grey>"),
    ),
    "mental": (
        ("A&Ox3", "alert, oriented", "<awake and conversant|neuro intact>", "alert, <jokes with staff|asks for food>"),
        ("<sleepy|drowsy> but arousable", "oriented x2", "slow to answer", "alert, <forgetful|intermittently confused>"),
        ("<confused|disoriented>, pulls at lines", "delirious", "follows <some|simple> commands", "opens eyes to voice"),
        ("obtunded", "withdraws to pain only", "no response to <voice|sternal rub>", "GCS <3|4|5|6>", "sedated, <no cough|weak gag>"),
    ),
    "perfusion": (
        ("warm, well perfused", "<WWP|extremities warm>", "2+ pulses throughout", "no edema"),
        ("warm, <1+|2+> DPs", "<trace|mild> edema", "cap refill <2|3> sec"),
        ("<cool|cold> hands", "delayed cap refill", "<2+|3+> edema, cool feet", "faint <DPs|radial pulses>"),
        ("mottled to the <knees|thighs>", "<dusky|cyanotic> toes", "cold, clammy, dopplerable pulses", "mottling, thready pulses"),
    ),
    "impression": (
        ("doing well", "clinically <improved|better>", "stable, nearing <callout|transfer>", "hemodynamically stable", "good response to <therapy|treatment>"),
        ("slowly improving", "stable but <needs|requires> monitoring", "<guarded|cautious> improvement", "holding steady", "partially treated"),
        ("tenuous", "<not improving|failing to improve> as expected", "remains <sick|labile>", "escalating needs", "high risk of <decline|decompensation>"),
        ("multiorgan failure", "deteriorating despite <maximal support|full therapy>", "refractory shock physiology", "grave prognosis discussed", "rapidly worsening"),
    ),
    "goals": (
        ("full code", "FULL CODE, <wife|daughter|son> updated", "code status: full"),
        ("full code, <HCP is {his} sister|HCP form signed>", "full code confirmed with <patient|family>", "presumed full"),
        ("code status under discussion", "<DNR, ok to intubate|family meeting planned>", "DNR/DNI", "full for now, <family|HCP> aware of <severity|risks>"),
        ("family <at bedside|called in>, goals readdressed", "DNR, <no escalation|no CPR>", "palliative care consulted", "HCP considering <comfort focus|limits>"),
    ),
    "urine": (
        ("UOP <80|95|110|130|150> cc/hr", "good urine output", "brisk UOP, <1.8|2.2|2.6> L/day"),
        ("UOP <45|50|55|60|70> cc/hr", "adequate urine output", "UOP borderline <35|40>"),
        ("UOP <20|22|25|28|30> cc/hr", "oliguric, <12|15|18> cc/hr", "dropping urine output"),
        ("anuric", "UOP <3|5|8> cc/hr", "CVVH started for anuria", "minimal dark urine"),
    ),
    "plan": (
        ("<call out|transfer> to floor <today|tomorrow>", "advance diet, PT", "d/c <A-line|Foley|central line>", "wean O2, ambulate"),
        ("continue current therapy", "trend labs q<6|8|12>h", "gentle diuresis", "repeat <CXR|cultures> in AM"),
        ("broaden antibiotics", "low threshold to intubate", "q<2|4>h <lactates|neuro checks>", "stress dose steroids", "additional <2|3> L boluses"),
        ("add <second|third> pressor", "<discuss|consider> ECMO candidacy", "CVVH, bicarb drip", "paralysis, <prone|inhaled nitric>", "ethics and palliative input"),
    ),
    "nursing": (
        ("slept well", "tolerating <clears|regular diet>", "OOB to chair", "no events overnight", "denies pain"),
        ("<restless|poor sleep> overnight", "pain <4|5|6>/10", "one <loose stool|temp spike>", "PRN <haldol|zofran> x1"),
        ("<two|three> desaturations overnight", "hypotensive to <78|82|85>/<40|45> after turning", "needed <restraints|boluses> overnight", "runs of <NSVT|AF>"),
        ("<brady|PEA> event at <2|3|4|5> AM with ROSC", "pressors uptitrated x<3|4|5> overnight", "unable to wean FiO2", "bleeding from line sites"),
    ),
}  # fmt: skip

TRENDS: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]] = (
    ("trending down", "improving", "downtrending", "coming down", "better"),
    ("unchanged", "stable", "flat", "about the same", "steady"),
    ("trending up", "rising", "uptrending", "climbing", "higher"),
)

AIRWAY: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]] = (
    ("on room air", "breathing room air", "on RA"),
    ("on <2|3|4|5> L nasal cannula", "on <2|3|4> L NC", "on <3|4|6> liters"),
    ("on high flow <30|40|50|60> L at <40|50|60|70>%", "on BiPAP <10|12|14>/<5|6|8>", "on a non-rebreather", "on a <50|60>% face tent"),
    (
        "intubated, AC <350|380|400|420|450>x<14|16|18|22|26> PEEP <5|8|10|12|14> FiO2 <40|50|60|70|80|100>%",
        "vented, PS <8|10|12|15>/<5|8> at <40|50>%",
        "intubated on CMV, PEEP <5|8|10|12>, FiO2 0.<4|5|6|7|8>",
    ),
)  # fmt: skip
