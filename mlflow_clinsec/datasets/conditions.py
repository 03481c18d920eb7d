"""Reasons for an ICU stay: how each is called, how it presents, what it shows and how it is treated.

Strings are phrase templates (see ``grammar``). ``shifts`` move measurements by so many spreads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DrugSpec = tuple[str, str]


@dataclass(frozen=True)
class Condition:
    """One reason for admission.

    Attributes:
        names: spellings of the diagnosis.
        complaint: spellings of the chief complaint.
        symptoms, findings, imaging: history, examination and study phrases.
        drugs: (name, dose template) pairs typically given.
        procedures, consults: what was done and who was asked.
        units: intensive care units that take it.
        weight: shift of the log-odds of death.
        shifts: measurement key -> shift in units of its spread.
    """

    names: tuple[str, ...]
    complaint: tuple[str, ...]
    symptoms: tuple[str, ...]
    findings: tuple[str, ...]
    imaging: tuple[str, ...]
    drugs: tuple[DrugSpec, ...]
    procedures: tuple[str, ...]
    consults: tuple[str, ...]
    units: tuple[str, ...] = ("MICU",)
    weight: float = 0.0
    shifts: Mapping[str, float] = field(default_factory=dict)


CONDITIONS: tuple[Condition, ...] = (
    Condition(
        names=("septic shock from pneumonia", "pneumonia with sepsis", "community-acquired pneumonia and sepsis", "HCAP with sepsis"),
        complaint=("shortness of breath", "fever and cough", "cough and malaise", "dyspnea"),
        symptoms=("productive cough", "rigors", "pleuritic <right|left> chest pain", "fevers to <101|102|103>", "poor PO intake", "night sweats", "rusty sputum"),
        findings=("crackles at the <right|left> base", "bronchial breath sounds", "rhonchi throughout", "dullness at the <right|left> base", "warm extremities"),
        imaging=("CXR: <right|left> <lower|middle|upper> lobe <consolidation|opacity|infiltrate>", "CT chest: multifocal opacities<, small effusions|>", "CXR: <worsening|new> bibasilar opacities"),
        drugs=(("ceftriaxone", "<1|2> g IV q24h"), ("azithromycin", "500 mg IV daily"), ("vancomycin", "<1|1.25|1.5> g IV q12h"), ("cefepime", "2 g IV q<8|12>h"), ("levofloxacin", "750 mg IV daily"), ("piperacillin-tazobactam", "4.5 g IV q<6|8>h")),
        procedures=("bronchoscopy with BAL", "thoracentesis of <300|450|700|900> mL", "arterial line placement"),
        consults=("pulmonary", "infectious disease"), weight=0.3, shifts={"wbc": 0.9, "temp": 0.9, "spo2": -0.6, "rr": 0.5, "lactate": 0.4},
    ),
    Condition(
        names=("urosepsis", "sepsis of urinary source", "pyelonephritis with bacteremia", "E. coli urosepsis"),
        complaint=("fever", "confusion and fever", "flank pain", "weakness"),
        symptoms=("dysuria", "<right|left> flank pain", "chills", "urinary frequency", "foul smelling urine", "vomiting x<2|3|4>", "lethargy"),
        findings=("<right|left> CVA tenderness", "suprapubic tenderness", "dry mucous membranes", "cloudy urine in the Foley bag", "bounding pulses"),
        imaging=("CT abdomen: <right|left> hydronephrosis with <4|5|6|7|8|9> mm stone", "renal US: <no hydronephrosis|perinephric stranding>", "CT: <right|left> pyelonephritis<, no abscess|>"),
        drugs=(("ceftriaxone", "<1|2> g IV q24h"), ("meropenem", "<500 mg|1 g> IV q8h"), ("ciprofloxacin", "400 mg IV q12h"), ("cefepime", "<1|2> g IV q12h"), ("gentamicin", "<240|320|400> mg IV x1")),
        procedures=("<right|left> percutaneous nephrostomy", "<right|left> ureteral stent", "Foley exchange"),
        consults=("urology", "infectious disease"), weight=-0.1, shifts={"wbc": 0.8, "temp": 0.8, "creatinine": 0.5, "lactate": 0.3},
    ),
    Condition(
        names=("ascending cholangitis", "biliary sepsis", "cholangitis from choledocholithiasis", "gangrenous cholecystitis"),
        complaint=("abdominal pain", "RUQ pain", "jaundice and fever", "fever"),
        symptoms=("RUQ pain after meals", "dark urine", "pale stools", "rigors", "itching", "nausea", "yellowing of the eyes"),
        findings=("scleral icterus", "RUQ tenderness with guarding", "positive Murphy sign", "jaundiced skin", "mild distension"),
        imaging=("RUQ US: CBD dilated to <9|10|11|12|14|16> mm", "CT: <gallbladder wall thickening|pericholecystic fluid|intrahepatic ductal dilation>", "MRCP: <two|three|multiple> CBD stones"),
        drugs=(("ampicillin-sulbactam", "3 g IV q6h"), ("metronidazole", "500 mg IV q8h"), ("ciprofloxacin", "400 mg IV q12h"), ("piperacillin-tazobactam", "<3.375|4.5> g IV q<6|8>h"), ("vitamin K", "<5|10> mg IV")),
        procedures=("ERCP with sphincterotomy", "percutaneous cholecystostomy", "biliary stent placement"),
        consults=("ERCP", "general surgery"), units=("MICU", "SICU"), shifts={"bilirubin": 2.2, "wbc": 0.7, "temp": 0.6, "inr": 0.5},
    ),
    Condition(
        names=("COPD exacerbation", "acute on chronic hypercarbic respiratory failure", "COPD flare with hypercapnia"),
        complaint=("shortness of breath", "wheezing", "respiratory distress", "dyspnea on exertion"),
        symptoms=("increased sputum", "wheeze", "orthopnea", "worsening dyspnea when <walking|climbing stairs|talking>", "using nebs every <2|3|4> hours", "sick contacts", "chest tightness"),
        findings=("diffuse expiratory wheezes", "prolonged expiratory phase", "accessory muscle use", "poor air movement", "barrel chest"),
        imaging=("CXR: hyperinflation<, no focal opacity|, flattened diaphragms>", "CTA chest: no PE, <severe|moderate> emphysema", "CXR: <possible|small> <RLL|LLL> infiltrate"),
        drugs=(("methylprednisolone", "<40|60|80|125> mg IV q<6|8|12>h"), ("albuterol", "nebs q<2|4>h"), ("ipratropium", "nebs q6h"), ("azithromycin", "<250|500> mg daily"), ("doxycycline", "100 mg BID")),
        procedures=("trial of BiPAP", "arterial line placement", "bronchoscopy"),
        consults=("pulmonary", "respiratory therapy"), weight=-0.2, shifts={"pco2": 2.4, "ph": -1.0, "spo2": -1.0, "bicarbonate": 1.0},
    ),
    Condition(
        names=("decompensated heart failure", "acute on chronic systolic CHF", "flash pulmonary edema", "volume overload from CHF"),
        complaint=("shortness of breath", "leg swelling", "orthopnea", "weight gain"),
        symptoms=("<two|three|four>-pillow orthopnea", "PND", "leg edema", "weight gain of <6|8|10|12|15|20> lbs", "dietary indiscretion", "missed <diuretic doses|furosemide>", "early satiety"),
        findings=("JVP to <10|12|14|16> cm", "bibasilar rales", "<1|2|3>+ pitting edema", "S3 gallop", "cool feet"),
        imaging=("TTE: EF <15|20|25|30|35>%, <mild|moderate|severe> MR", "CXR: pulmonary edema with <small|moderate> effusions", "CXR: cardiomegaly and vascular congestion"),
        drugs=(("furosemide", "<5|10|15|20> mg/hr"), ("nitroglycerin", "<10|20|40|60|100> mcg/min"), ("milrinone", "0.<125|25|375> mcg/kg/min"), ("metolazone", "<2.5|5> mg"), ("chlorothiazide", "<250|500> mg IV")),
        procedures=("right heart catheterization", "PA catheter placement", "thoracentesis of <600|800|1100> mL"),
        consults=("heart failure", "electrophysiology"), units=("CCU",), weight=0.1, shifts={"bun": 0.7, "creatinine": 0.6, "sodium": -0.7, "spo2": -0.5},
    ),
    Condition(
        names=("cardiogenic shock after STEMI", "anterior STEMI", "NSTEMI with three vessel disease", "inferior STEMI"),
        complaint=("chest pain", "crushing chest pressure", "syncope", "jaw pain"),
        symptoms=("substernal pressure radiating to the <left arm|jaw|back>", "diaphoresis", "nausea", "palpitations", "dyspnea", "pain at <rest|2 AM|work>", "lightheadedness"),
        findings=("cool clammy skin", "<new|II/VI|III/VI> systolic murmur", "faint rales", "right groin sheath, no hematoma", "thready pulses"),
        imaging=("cath: <70|80|90|95|100>% <LAD|RCA|LCx> lesion", "ECG: <2|3|4> mm ST elevations in <V2-V4|II, III, aVF|V1-V5>", "TTE: <anterior|inferior|apical> akinesis, EF <20|25|30|35|40|45>%"),
        drugs=(("aspirin", "325 mg then 81 mg"), ("heparin", "<800|1000|1200|1400> units/hr"), ("ticagrelor", "90 mg BID"), ("eptifibatide", "2 mcg/kg/min"), ("metoprolol", "<12.5|25|50> mg BID"), ("dobutamine", "<2.5|5|7.5> mcg/kg/min")),
        procedures=("DES to <LAD|RCA|LCx>", "IABP placement", "balloon angioplasty"),
        consults=("cardiac surgery", "interventional cardiology"), units=("CCU",), weight=0.3, shifts={"troponin": 3.2, "sbp": -0.5, "lactate": 0.4},
    ),
    Condition(
        names=("upper GI bleed", "variceal bleed", "bleeding duodenal ulcer", "UGIB from gastric ulcer"),
        complaint=("hematemesis", "melena", "vomiting blood", "black stools"),
        symptoms=("<2|3|4|5> episodes of <coffee ground emesis|hematemesis>", "melena", "lightheadedness", "epigastric pain", "NSAID use for <back|knee> pain", "syncope", "fatigue"),
        findings=("pale conjunctivae", "guaiac positive stool", "epigastric tenderness", "spider angiomata", "cap refill <2|3|4> seconds"),
        imaging=("EGD: <1|1.5|2> cm <duodenal|gastric> ulcer with <visible vessel|adherent clot|oozing>", "EGD: <two|three|four> cords of varices, <banded|3 bands placed>", "CTA: no active extravasation"),
        drugs=(("pantoprazole", "8 mg/hr"), ("octreotide", "50 mcg/hr"), ("ceftriaxone", "1 g IV daily"), ("packed red cells", "<2|3|4|5|6> units"), ("fresh frozen plasma", "<2|3|4> units")),
        procedures=("EGD with <clipping|banding|cautery>", "massive transfusion protocol", "Minnesota tube placement"),
        consults=("GI", "interventional radiology"), shifts={"hgb": -1.8, "bun": 1.0, "hr": 0.6, "inr": 0.5},
    ),
    Condition(
        names=("lower GI bleed", "diverticular bleed", "hematochezia with blood loss anemia", "ischemic colitis"),
        complaint=("bright red blood per rectum", "BRBPR", "rectal bleeding"),
        symptoms=("<2|3|4|6> large bloody stools", "cramping", "dizziness on standing", "recent colonoscopy with polypectomy", "passing clots", "fatigue"),
        findings=("maroon stool on exam", "LLQ tenderness", "pallor", "orthostatic by <18|22|28> mmHg", "hemorrhoids, not bleeding"),
        imaging=("CTA: extravasation in the <sigmoid|cecum|ascending colon>", "colonoscopy: <left sided|pancolonic> diverticulosis<, no stigmata|, one clip placed>", "tagged scan: <positive|negative> at <60|90> minutes"),
        drugs=(("packed red cells", "<1|2|3|4> units"), ("golytely", "4 L"), ("vitamin K", "<5|10> mg"), ("platelets", "<1|2> packs"), ("prothrombin complex", "<1500|2000|2500> units")),
        procedures=("mesenteric embolization", "colonoscopy with clipping", "flexible sigmoidoscopy"),
        consults=("GI", "colorectal surgery"), weight=-0.4, shifts={"hgb": -1.6, "hr": 0.4},
    ),
    Condition(
        names=("diabetic ketoacidosis", "DKA", "DKA from insulin nonadherence", "hyperosmolar hyperglycemia"),
        complaint=("nausea and vomiting", "hyperglycemia", "abdominal pain", "polyuria"),
        symptoms=("polyuria", "polydipsia", "ran out of insulin <2|3|4|5> days ago", "blurry vision", "vomiting", "insulin pump failure", "weight loss"),
        findings=("Kussmaul breathing", "fruity breath", "dry mucous membranes", "diffuse mild abdominal tenderness", "poor turgor"),
        imaging=("CXR: clear lungs", "ECG: sinus tachycardia<, peaked T waves|>", "KUB: nonspecific gas pattern"),
        drugs=(("insulin", "<3|4|5|6|7|8> units/hr"), ("D5 half normal saline", "<100|125|150|200> mL/hr"), ("potassium phosphate", "<15|20|30> mmol"), ("glargine", "<12|16|20|24> units")),
        procedures=("<hourly|q2h> fingersticks", "arterial line placement", "<2|3|4|5> L saline boluses"),
        consults=("endocrine", "diabetes education"), weight=-0.8, shifts={"glucose": 4.0, "bicarbonate": -2.6, "ph": -2.2, "potassium": 0.9, "rr": 0.5},
    ),
    Condition(
        names=("acute ischemic stroke", "<left|right> MCA stroke", "basilar occlusion", "large vessel stroke after tPA"),
        complaint=("<left|right> sided weakness", "slurred speech", "found aphasic", "facial droop"),
        symptoms=("<left|right> arm weakness", "word finding difficulty", "last seen well <2|3|5|8> hours before arrival", "facial droop", "gaze deviation", "headache"),
        findings=("NIHSS <4|7|9|12|15|18|21>", "<left|right> facial droop", "<left|right> hemiparesis <1|2|3>/5", "dysarthria", "<left|right> neglect"),
        imaging=("CTA: <M1|M2|ICA|basilar> occlusion", "MRI: <left|right> <frontal|parietal|insular|cerebellar> infarct", "CT head: loss of grey-white <on the left|on the right>, no bleed"),
        drugs=(("alteplase", "<54|63|72|81> mg"), ("aspirin", "<81|325> mg daily"), ("nicardipine", "<2.5|5|7.5|10> mg/hr"), ("atorvastatin", "80 mg daily"), ("labetalol", "<10|20> mg IV PRN")),
        procedures=("mechanical thrombectomy, TICI <2a|2b|3>", "carotid ultrasound", "PEG evaluation"),
        consults=("stroke neurology", "speech and swallow"), units=("NeuroICU",), weight=0.2, shifts={"sbp": 1.5, "map": 1.3},
    ),
    Condition(
        names=("intracerebral hemorrhage", "<left|right> basal ganglia bleed", "cerebellar hemorrhage", "lobar ICH on warfarin"),
        complaint=("headache", "unresponsiveness", "sudden weakness", "vomiting and headache"),
        symptoms=("thunderclap headache", "vomiting", "<left|right> weakness", "somnolence", "hypertensive to <190|210|230|240> in the field", "neck stiffness"),
        findings=("GCS <6|7|8|9|10|12|13>", "<left|right> pupil <3|4|5> mm", "<left|right> hemiplegia", "extensor posturing on the <left|right>", "upgoing toe on the <left|right>"),
        imaging=("CT head: <1.8|2.4|3.1|3.9|4.6|5.2> cm <thalamic|putaminal|frontal|cerebellar> hemorrhage", "CT: <2|3|5|7|9> mm midline shift", "CTA: no aneurysm<, spot sign present|>"),
        drugs=(("nicardipine", "<5|7.5|10|12.5|15> mg/hr"), ("levetiracetam", "<500|1000> mg BID"), ("mannitol", "<25|50|75|100> g"), ("hypertonic saline", "<23.4%|3%> <30|250> mL"), ("prothrombin complex", "<2000|2500|3000> units")),
        procedures=("EVD placement", "suboccipital craniectomy", "repeat head CT"),
        consults=("neurosurgery", "palliative care"), units=("NeuroICU",), weight=0.7, shifts={"sbp": 1.7, "map": 1.5, "glucose": 0.4},
    ),
    Condition(
        names=("subdural hematoma after fall", "polytrauma after MVC", "trauma with rib fractures", "splenic laceration"),
        complaint=("s/p fall", "s/p MVC", "trauma", "head strike"),
        symptoms=("fall from <standing|a ladder|<5|8|10|12> stairs>", "positive LOC", "<left|right> chest wall pain", "amnesia to the event", "neck pain", "<hip|knee|shoulder> pain"),
        findings=("C-collar in place", "<left|right> chest wall crepitus", "scalp laceration <3|4|5|6|8> cm", "<left|right> periorbital ecchymosis", "FAST <negative|positive>"),
        imaging=("CT head: <5|7|9|11|14> mm <left|right> subdural", "CT torso: <left|right> ribs <3|4|5>-<6|7|8|9> fractures", "CT abdomen: grade <II|III|IV> splenic laceration"),
        drugs=(("levetiracetam", "500 mg BID"), ("cefazolin", "<1|2> g IV q8h"), ("tetanus toxoid", "0.5 mL IM"), ("hydromorphone", "0.<2|4|6|8> mg IV q3h PRN"), ("packed red cells", "<1|2|3> units")),
        procedures=("<left|right> chest tube", "burr hole drainage", "splenic embolization"),
        consults=("neurosurgery", "orthopedics"), units=("TSICU", "SICU"), weight=-0.1, shifts={"hgb": -0.6, "hr": 0.3},
    ),
    Condition(
        names=("submassive pulmonary embolism", "saddle PE", "massive PE", "bilateral pulmonary emboli"),
        complaint=("chest pain", "syncope", "dyspnea", "hemoptysis"),
        symptoms=("pleuritic pain", "near syncope", "<left|right> calf swelling", "recent <flight|hip surgery|immobilization>", "hemoptysis", "palpitations"),
        findings=("<left|right> calf <2|3|4> cm larger", "loud P2", "clear lungs", "RV heave", "JVD"),
        imaging=("CTA: <saddle|bilateral lobar|segmental> embolus with RV/LV <1.1|1.3|1.5|1.8>", "TTE: RV <dilated|hypokinetic>, PASP <45|52|58|66>", "LENIs: <left|right> <popliteal|femoral> DVT"),
        drugs=(("heparin", "<1000|1200|1400|1600|1800> units/hr"), ("alteplase", "<50|100> mg"), ("enoxaparin", "<60|70|80|90|100> mg BID"), ("apixaban", "10 mg BID")),
        procedures=("catheter directed lysis", "IVC filter placement", "bedside echo"),
        consults=("PERT", "vascular medicine"), units=("MICU", "CCU"), shifts={"troponin": 1.2, "hr": 0.9, "spo2": -0.8, "pco2": -0.8},
    ),
    Condition(
        names=("hepatic encephalopathy", "decompensated cirrhosis", "acute on chronic liver failure", "spontaneous bacterial peritonitis"),
        complaint=("confusion", "abdominal distension", "altered mental status", "jaundice"),
        symptoms=("sleeping all day", "increasing girth", "missed lactulose", "<2|3|4> BMs weekly", "abdominal discomfort", "leg swelling", "bruising"),
        findings=("asterixis", "tense ascites", "icteric sclerae", "spider angiomata", "caput medusae"),
        imaging=("US: <large|moderate> ascites, <patent|thrombosed> portal vein", "CT: nodular liver, spleen <14|16|18|20> cm", "paracentesis: <180|320|560|900|1400> PMNs"),
        drugs=(("lactulose", "30 mL q<2|4|6>h"), ("rifaximin", "550 mg BID"), ("albumin 25%", "<50|75|100> g"), ("octreotide", "100 mcg SC TID"), ("midodrine", "<5|7.5|10> mg TID"), ("ceftriaxone", "2 g IV daily")),
        procedures=("paracentesis of <2|3.5|5|6.5> L", "TIPS evaluation", "Dobhoff placement"),
        consults=("hepatology", "transplant surgery"), weight=0.5, shifts={"bilirubin": 2.8, "inr": 2.2, "platelets": -1.5, "albumin": -1.2, "sodium": -1.1},
    ),
    Condition(
        names=("acute pancreatitis", "gallstone pancreatitis", "necrotizing pancreatitis", "alcoholic pancreatitis"),
        complaint=("abdominal pain", "epigastric pain", "vomiting"),
        symptoms=("epigastric pain radiating to the back", "vomiting", "recent <binge|heavy meal>", "anorexia", "bloating", "fevers"),
        findings=("epigastric guarding", "distended abdomen", "hypoactive bowel sounds", "flank ecchymosis", "bladder pressure <11|14|17|21>"),
        imaging=("CT: <20|30|50>% pancreatic necrosis", "CT: peripancreatic <stranding|fluid>", "RUQ US: gallstones, CBD <4|6|8> mm"),
        drugs=(("lactated ringers", "<150|200|250|300> mL/hr"), ("hydromorphone", "PCA 0.<12|24|36> mg"), ("meropenem", "1 g IV q8h"), ("insulin", "<2|3|5> units/hr"), ("calcium gluconate", "<2|4> g")),
        procedures=("nasojejunal tube placement", "CT guided drain", "ERCP"),
        consults=("GI", "general surgery"), units=("SICU", "MICU"), shifts={"wbc": 0.7, "glucose": 0.6, "hr": 0.7, "albumin": -0.4},
    ),
    Condition(
        names=("CABG x<2|3|4>", "aortic valve replacement", "s/p mitral valve repair", "ascending aortic aneurysm repair"),
        complaint=("post-op care", "planned cardiac surgery", "exertional angina"),
        symptoms=("exertional chest pressure", "dyspnea on <one|two> flights", "positive stress test", "fatigue", "dizziness"),
        findings=("sternum stable", "chest tubes with <120|180|240|350|480> mL", "pacing wires in place", "SVG harvest site clean", "pericardial rub"),
        imaging=("CXR: lines in place, <small|trace> <left|right> effusion", "TEE: EF <30|40|45|50|55|60>%, no leak", "ECG: <A-paced at 80|sinus rhythm|new RBBB>"),
        drugs=(("cefazolin", "2 g IV q8h"), ("milrinone", "0.<2|25|3|5> mcg/kg/min"), ("amiodarone", "<0.5|1> mg/min"), ("metoprolol", "<12.5|25> mg BID"), ("protamine", "<25|50> mg")),
        procedures=("bypass time <78|92|106|121|144> minutes", "re-exploration for bleeding", "chest tube removal"),
        consults=("cardiac surgery", "cardiology"), units=("CVICU",), weight=-0.9, shifts={"hgb": -0.7, "platelets": -0.5, "glucose": 0.4},
    ),
    Condition(
        names=("acute renal failure with hyperkalemia", "AKI from ATN", "uremia", "missed dialysis with hyperkalemia"),
        complaint=("weakness", "decreased urine output", "abnormal labs", "nausea"),
        symptoms=("missed <one|two|three> HD sessions", "muscle weakness", "anorexia", "hiccups", "metallic taste", "ankle swelling", "NSAID use"),
        findings=("asterixis", "pericardial rub", "<left|right> AV fistula with thrill", "pitting edema to the <knees|thighs>", "uremic frost"),
        imaging=("ECG: peaked T waves, QRS <108|122|136|150>", "renal US: <small echogenic kidneys|no hydronephrosis>", "CXR: <mild|moderate> edema"),
        drugs=(("calcium gluconate", "<1|2|3> g IV"), ("insulin", "10 units with D50"), ("sodium bicarbonate", "<50|100|150> mEq"), ("kayexalate", "<15|30|45> g"), ("furosemide", "<80|120|160> mg IV")),
        procedures=("emergent HD with <1.5|2|2.8|3.5> L off", "CVVH", "temporary HD line placement"),
        consults=("nephrology", "vascular access"), weight=0.1, shifts={"creatinine": 3.0, "bun": 2.2, "potassium": 2.4, "bicarbonate": -1.4},
    ),
    Condition(
        names=("intentional overdose", "<acetaminophen|tricyclic|opioid|beta blocker> overdose", "polysubstance ingestion"),
        complaint=("overdose", "unresponsive", "ingestion"),
        symptoms=("empty bottles of <acetaminophen|amitriptyline|metoprolol|clonazepam> nearby", "took about <20|30|45|60> tablets", "recent breakup", "vomiting", "text message to a friend", "prior attempts"),
        findings=("pinpoint pupils", "dilated pupils", "dry flushed skin", "no clonus", "bowel sounds absent"),
        imaging=("ECG: QRS <94|104|118|132>, QTc <430|460|490|520>", "CT head: no acute process", "CXR: possible aspiration on the <left|right>"),
        drugs=(("N-acetylcysteine", "<6.25|12.5> mg/kg/hr"), ("naloxone", "0.<2|4|6> mg/hr"), ("sodium bicarbonate", "150 mEq in D5W at <100|150|200>"), ("activated charcoal", "50 g"), ("glucagon", "<3|5> mg/hr")),
        procedures=("gastric lavage", "1:1 sitter", "serial ECGs"),
        consults=("toxicology", "psychiatry"), weight=-0.7, shifts={"ph": -0.6, "pco2": 0.6, "rr": -0.7},
    ),
    Condition(
        names=("alcohol withdrawal", "delirium tremens", "EtOH withdrawal seizures"),
        complaint=("tremor", "seizure", "agitation", "hallucinations"),
        symptoms=("last drink <12|18|24|36|48> hours ago", "visual hallucinations", "tremulousness", "sweats", "<one|two|three> witnessed seizures", "insomnia"),
        findings=("tremor of outstretched hands", "diaphoretic", "tongue fasciculations", "CIWA <12|16|19|23|27>", "nystagmus"),
        imaging=("CT head: <atrophy|no bleed>", "CXR: <clear|possible aspiration>", "ECG: sinus tachycardia"),
        drugs=(("diazepam", "<5|10|20> mg q<1|2|4>h"), ("phenobarbital", "<130|260|650> mg IV"), ("thiamine", "<100|500> mg IV"), ("folate", "1 mg daily"), ("dexmedetomidine", "0.<3|5|7> mcg/kg/hr")),
        procedures=("CIWA monitoring", "EEG", "four point restraints"),
        consults=("addiction psychiatry", "social work"), weight=-1.0, shifts={"hr": 1.3, "sbp": 0.8, "platelets": -0.7},
    ),
    Condition(
        names=("status epilepticus", "refractory seizures", "breakthrough seizures", "nonconvulsive status"),
        complaint=("seizure", "unresponsiveness", "convulsions"),
        symptoms=("<2|3|4|6> generalized seizures", "tongue biting", "missed <levetiracetam|phenytoin> doses", "incontinence", "prolonged postictal state", "fever"),
        findings=("<left|right> gaze preference", "rhythmic <left|right> arm jerking", "postictal", "tongue laceration", "symmetric reflexes"),
        imaging=("EEG: <left|right> temporal <spikes|periodic discharges>", "MRI: <left|right> mesial temporal sclerosis", "LP: <1|3|8|40> WBC, protein <38|52|71>"),
        drugs=(("levetiracetam", "<1500|2000|3000> mg load"), ("lorazepam", "<2|4|6> mg IV"), ("fosphenytoin", "<1000|1200|1500> PE"), ("valproate", "<750|1500|2500> mg"), ("lacosamide", "<100|200> mg BID")),
        procedures=("continuous EEG", "lumbar puncture", "intubation for airway protection"),
        consults=("epilepsy", "neurology"), units=("NeuroICU", "MICU"), weight=0.0, shifts={"lactate": 0.6, "temp": 0.4},
    ),
    Condition(
        names=("perforated viscus", "small bowel obstruction s/p resection", "perforated diverticulitis", "ischemic bowel"),
        complaint=("abdominal pain", "post-op care", "obstipation", "vomiting"),
        symptoms=("sudden diffuse abdominal pain", "no flatus for <2|3|4> days", "bilious vomiting", "prior abdominal surgeries x<1|2|3|4>", "distension", "fevers"),
        findings=("rigid abdomen", "midline incision clean", "ostomy <pink|dusky>", "JP drain with <40|80|150|220> mL", "absent bowel sounds"),
        imaging=("CT: free air<, pelvic fluid|>", "CT: transition point in the <RLQ|LLQ|pelvis>", "KUB: dilated loops to <4|5|6> cm"),
        drugs=(("piperacillin-tazobactam", "<3.375|4.5> g IV q<6|8>h"), ("fluconazole", "<200|400> mg IV daily"), ("metronidazole", "500 mg IV q8h"), ("hydromorphone", "PCA"), ("lactated ringers", "<100|125|150> mL/hr")),
        procedures=("exploratory laparotomy", "<20|35|60|90> cm bowel resection", "washout with <open abdomen|wound vac>"),
        consults=("general surgery", "wound and ostomy"), units=("SICU",), weight=0.4, shifts={"wbc": 0.9, "lactate": 0.8, "albumin": -0.7, "hr": 0.5},
    ),
    Condition(
        names=("atrial fibrillation with RVR", "unstable atrial flutter", "AF with rapid rates and hypotension"),
        complaint=("palpitations", "chest fluttering", "dizziness", "fatigue"),
        symptoms=("palpitations", "dyspnea", "missed <metoprolol|diltiazem>", "binge drinking", "lightheadedness", "recent viral illness"),
        findings=("irregularly irregular", "no murmurs", "trace ankle edema", "mild bibasilar crackles", "thyroid nontender"),
        imaging=("ECG: AF at <132|144|151|163|172>", "TTE: LA <4.4|4.8|5.3> cm, EF <35|45|50|55>%", "TEE: no LAA thrombus"),
        drugs=(("diltiazem", "<5|7.5|10|12.5|15> mg/hr"), ("amiodarone", "<0.5|1> mg/min"), ("esmolol", "<50|100|150> mcg/kg/min"), ("heparin", "<900|1100|1300> units/hr"), ("digoxin", "0.<125|25|5> mg")),
        procedures=("DC cardioversion at <120|150|200> J", "TEE", "ablation planning"),
        consults=("electrophysiology", "cardiology"), units=("CCU",), weight=-0.7, shifts={"hr": 2.6},
    ),
    Condition(
        names=("neutropenic fever", "febrile neutropenia with sepsis", "sepsis after chemotherapy"),
        complaint=("fever", "chills", "weakness"),
        symptoms=("fever to <100.8|101.4|102.2|103.1>", "mouth sores", "cycle <2|3|4|5> day <8|9|10|12> of chemo", "diarrhea", "port site redness", "chills"),
        findings=("oral mucositis", "port site <clean|erythematous>", "alopecia", "petechiae on the shins", "tender perianal area"),
        imaging=("CT chest: <nodular|ground glass> opacities", "CXR: no infiltrate", "CT abdomen: cecal wall thickening <6|8|11> mm"),
        drugs=(("cefepime", "2 g IV q8h"), ("vancomycin", "<1|1.25|1.5> g IV q12h"), ("micafungin", "100 mg IV daily"), ("filgrastim", "<300|480> mcg SC"), ("acyclovir", "<400|800> mg")),
        procedures=("port removal", "bone marrow biopsy", "platelet transfusion"),
        consults=("oncology", "infectious disease"), weight=0.5, shifts={"wbc": -3.2, "platelets": -2.2, "hgb": -1.2, "temp": 1.3},
    ),
    Condition(
        names=("ARDS", "aspiration pneumonitis with hypoxemia", "hypoxic respiratory failure", "influenza with ARDS"),
        complaint=("respiratory failure", "hypoxia", "dyspnea", "cough"),
        symptoms=("witnessed aspiration", "myalgias", "<4|5|7|9> days of cough", "worsening hypoxia", "sick grandchild", "fevers", "choking with meals"),
        findings=("diffuse crackles", "coarse breath sounds", "thick secretions", "subcutaneous emphysema", "tachypneic"),
        imaging=("CXR: bilateral patchy opacities", "CT chest: dependent consolidation, <no|small> effusions", "CXR: ETT <2|3|4|5> cm above the carina"),
        drugs=(("cisatracurium", "<2|3|4> mcg/kg/min"), ("oseltamivir", "75 mg BID"), ("ampicillin-sulbactam", "3 g IV q6h"), ("methylprednisolone", "<40|60|80> mg"), ("furosemide", "<20|40> mg IV BID")),
        procedures=("proning for <12|16|18> hours", "bronchoscopy", "esophageal balloon"),
        consults=("pulmonary", "ECMO team"), weight=0.6, shifts={"spo2": -1.3, "rr": 0.9, "pco2": 0.7, "ph": -0.5},
    ),
)  # fmt: skip
