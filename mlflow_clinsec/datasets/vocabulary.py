"""Word lists shared by all admissions: history, home drugs, allergies, social background, support."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Comorbidity:
    """A chronic illness: spellings, home drugs (phrase templates) and weight on the log-odds of death."""

    names: tuple[str, ...]
    drugs: tuple[str, ...]
    weight: float = 0.0


_C = Comorbidity

COMORBIDITIES: tuple[Comorbidity, ...] = (
    _C(("hypertension", "HTN", "high blood pressure"), ("lisinopril <5|10|20|40> mg daily", "amlodipine <5|10> mg daily")),
    _C(("type 2 diabetes", "DM2", "diabetes mellitus type II"), ("metformin <500|850|1000> mg BID", "glargine <10|14|18|22|30> units qHS"), 0.1),
    _C(("hyperlipidemia", "HLD", "high cholesterol"), ("atorvastatin <20|40|80> mg daily", "simvastatin <20|40> mg qHS")),
    _C(("coronary artery disease", "CAD", "CAD with prior stents"), ("aspirin 81 mg daily", "clopidogrel 75 mg daily"), 0.1),
    _C(("systolic heart failure", "CHF with EF <20|25|30|35|40>%", "ischemic cardiomyopathy"), ("furosemide <20|40|80> mg BID", "carvedilol <3.125|6.25|12.5> mg BID"), 0.25),
    _C(("atrial fibrillation", "AFib on anticoagulation", "paroxysmal AF"), ("warfarin <2|2.5|3|5> mg daily", "apixaban <2.5|5> mg BID"), 0.1),
    _C(("COPD", "COPD on <2|3> L home O2", "emphysema"), ("tiotropium 18 mcg daily", "albuterol inhaler PRN"), 0.2),
    _C(("chronic kidney disease", "CKD stage <3|4>", "CKD with baseline creatinine <1.6|1.9|2.2|2.7>"), ("calcitriol 0.25 mcg daily", "sevelamer 800 mg TID"), 0.25),
    _C(("end stage renal disease on dialysis", "ESRD on HD <MWF|TTS>", "ESRD"), ("sevelamer <800|1600> mg TID", "cinacalcet 30 mg daily"), 0.4),
    _C(("cirrhosis", "alcoholic cirrhosis", "hepatitis C cirrhosis"), ("lactulose <15|30> mL TID", "spironolactone <50|100> mg daily"), 0.5),
    _C(("metastatic <lung|colon|breast|pancreatic> cancer", "lymphoma on chemotherapy", "stage IV <renal|gastric|ovarian> carcinoma"), ("ondansetron 4 mg PRN", "oxycodone <5|10> mg q6h PRN"), 0.6),
    _C(("prior stroke", "CVA in [**21<10|24|31|38|47|52>**]", "old left MCA stroke"), ("aspirin 325 mg daily", "dipyridamole 200 mg BID"), 0.15),
    _C(("dementia", "Alzheimer's dementia", "vascular dementia"), ("donepezil <5|10> mg qHS", "memantine 10 mg BID"), 0.35),
    _C(("hypothyroidism", "hypothyroid", "Hashimoto's"), ("levothyroxine <50|75|88|100|125> mcg daily",)),
    _C(("GERD", "reflux disease", "peptic ulcer disease"), ("omeprazole <20|40> mg daily", "pantoprazole 40 mg daily")),
    _C(("depression", "major depression", "bipolar disorder"), ("sertraline <50|100> mg daily", "citalopram <20|40> mg daily", "quetiapine <25|50|100> mg qHS")),
    _C(("asthma", "mild persistent asthma", "asthma, never intubated"), ("fluticasone <110|220> mcg BID", "montelukast 10 mg daily")),
    _C(("obstructive sleep apnea", "OSA on CPAP", "OSA"), ("home CPAP at night",)),
    _C(("rheumatoid arthritis", "RA on methotrexate", "lupus"), ("prednisone <5|7.5|10> mg daily", "methotrexate <10|15> mg weekly"), 0.1),
    _C(("seizure disorder", "epilepsy", "seizures since childhood"), ("levetiracetam <500|750|1000> mg BID", "phenytoin <100|200> mg TID")),
    _C(("gout", "gouty arthritis"), ("allopurinol <100|300> mg daily", "colchicine 0.6 mg PRN")),
    _C(("benign prostatic hyperplasia", "BPH", "urinary retention"), ("tamsulosin 0.4 mg qHS", "finasteride 5 mg daily")),
    _C(("peripheral vascular disease", "PVD s/p <left|right> fem-pop bypass", "PAD"), ("cilostazol 100 mg BID", "aspirin 81 mg daily"), 0.15),
    _C(("deep vein thrombosis", "h/o DVT and PE", "prior PE"), ("rivaroxaban <15|20> mg daily", "warfarin <2|4|5> mg daily"), 0.05),
    _C(("osteoporosis", "osteoarthritis of the knees", "chronic low back pain"), ("acetaminophen 650 mg PRN", "tramadol 50 mg PRN", "alendronate 70 mg weekly")),
    _C(("HIV", "HIV, last CD4 <88|140|210|360|520>"), ("emtricitabine-tenofovir daily", "dolutegravir 50 mg daily"), 0.15),
)  # fmt: skip

ALLERGIES: tuple[str, ...] = (
    "NKDA", "no known drug allergies", "none known", "penicillin (<rash|hives|anaphylaxis>)", "sulfa (<rash|swelling>)",
    "codeine (<nausea|itching>)", "iodine contrast (<hives|flushing>)", "latex", "vancomycin (red man)", "morphine (<itching|confusion>)",
    "levofloxacin (<tendon pain|rash>)", "lisinopril (<cough|angioedema>)", "shellfish", "cephalexin (rash)", "aspirin (wheezing)",
)  # fmt: skip

OCCUPATIONS: tuple[str, ...] = (
    "retired teacher", "retired machinist", "bus driver", "carpenter", "former nurse", "farmer", "cook", "bookkeeper", "mechanic",
    "retired postal worker", "electrician", "home health aide", "cashier", "retired police officer", "janitor", "seamstress", "musician",
    "truck driver", "retired engineer", "hairdresser", "warehouse worker", "librarian", "landscaper", "on disability", "unemployed",
    "veteran", "retired fisherman", "baker", "software tester", "graduate student", "roofer", "bartender", "pharmacist", "welder",
)  # fmt: skip

HOMES: tuple[str, ...] = (
    "alone", "with {his} <wife|husband|spouse|partner>", "with {his} <daughter|son>", "in a nursing home", "in assisted living",
    "with a roommate", "in a group home", "with {his} <sister|brother|mother|niece>", "in a shelter", "with extended family",
)  # fmt: skip

HABITS: tuple[str, ...] = (
    "<never smoked|non-smoker|denies tobacco>", "quit smoking <2|5|8|12|15|20|30> years ago", "<10|15|20|25|30|40|50|60> pack-year smoker",
    "smokes <half a|1|1.5|2> ppd", "drinks <1-2|2-3|4-6|8-10> beers <daily|on weekends>", "<no|denies> alcohol", "rare <wine|alcohol>",
    "<prior|remote|active> IV drug use", "former heavy drinker, sober <1|3|6|10|14> years", "<no illicits|denies drugs>", "occasional marijuana",
)  # fmt: skip

FAMILY: tuple[str, ...] = (
    "mother with <breast cancer|diabetes|stroke|dementia>", "father died of <MI|lung cancer|stroke|cirrhosis>", "brother with <CAD|lupus|epilepsy>",
    "sister with <thyroid disease|DVT|asthma>", "non-contributory", "unknown, adopted", "<son|daughter> with <asthma|type 1 diabetes>",
)  # fmt: skip

ARRIVALS: tuple[str, ...] = (
    "<BIBA|brought in by EMS|brought by ambulance> from {home_place}", "transferred from [**Hospital {number}**]",
    "walked into the ED", "<sent|referred> by {his} <PCP|cardiologist|dialysis unit|visiting nurse>", "found <down|on the floor> by <a neighbor|family|staff>",
    "direct admit from <clinic|[**Hospital {number}**] ED|the floor>", "<driven|brought> in by {his} <son|daughter|friend|neighbor>",
    "called out <to rapid response|for a trigger> on the floor", "med-flighted from [**Hospital {number}**]",
)  # fmt: skip

PLACES: tuple[str, ...] = (
    "home",
    "rehab",
    "a nursing facility",
    "work",
    "a restaurant",
    "[**Location (un) {number}**]",
    "dialysis",
    "a hotel",
)

LINES: tuple[str, ...] = (
    "<right|left> IJ <central line|CVL>", "<right|left> subclavian line", "<right|left> radial A-line", "<two|three> large bore <IVs|PIVs>",
    "<R|L> femoral <CVL|line>", "<R|L> PICC", "18G <PIV|IV> x2", "20G <R|L> AC", "<R|L> IJ HD catheter", "Foley", "NGT", "rectal tube",
)  # fmt: skip

PRESSORS: tuple[tuple[str, str], ...] = (
    ("norepinephrine", "0.<04|06|08|10|12|15|18|22|26|30> mcg/kg/min"), ("levophed", "<3|4|6|8|10|12|15|18> mcg/min"),
    ("phenylephrine", "<0.4|0.6|0.8|1|1.2|1.5|2> mcg/kg/min"), ("vasopressin", "0.0<3|4> units/min"),
    ("dopamine", "<3|4|5|6|8|10> mcg/kg/min"), ("epinephrine", "0.0<2|3|4|5|6|8> mcg/kg/min"),
)  # fmt: skip

SEDATIVES: tuple[tuple[str, str], ...] = (
    ("propofol", "<15|20|25|30|35|40|50> mcg/kg/min"), ("midazolam", "<1|2|3|4|5> mg/hr"), ("fentanyl", "<25|50|75|100|125|150> mcg/hr"),
    ("dexmedetomidine", "0.<2|3|4|5|6|7> mcg/kg/hr"),
)  # fmt: skip

PROPHYLAXIS: tuple[tuple[str, str], ...] = (
    ("pantoprazole", "40 mg <IV|PO> <daily|BID>"), ("heparin", "5000 units SC <BID|TID>"), ("famotidine", "20 mg IV BID"),
    ("insulin", "sliding scale"), ("acetaminophen", "<325|650> mg q6h PRN"), ("docusate", "100 mg BID"), ("ondansetron", "4 mg IV PRN"),
    ("potassium chloride", "<20|40|60> mEq"), ("magnesium sulfate", "<2|4> g IV"), ("chlorhexidine", "15 mL oral BID"),
)  # fmt: skip
