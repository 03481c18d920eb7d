"""What the columns of a table mean, in the words that stand below it in the card and in the PDF."""

from __future__ import annotations

CHECKS = (
    "FAIL: the whole interval lies beyond the limit. PASS: all of it keeps to the limit. INCONCLUSIVE: this sample "
    "cannot tell, mostly because the interval holds the limit; the words beside it say why. The interval allows for "
    "having picked the worst of several."
)
POWER = (
    "n: independent units, patients where they are known. Records needed: on the smaller side, to decide at the value "
    "found."
)
TRIGGERS = (
    "ASR: share of records of another class that are called the target class once the trigger is in. FTR: the same "
    "with placebo words like the trigger. Excess is what counts: the trigger's own doing. Adjusted p: paired test, "
    "corrected for the number of triggers (Benjamini-Hochberg)."
)
MORE_TRIGGERS = (
    "Survival: share of inputs in which the trigger is still there after truncation. LFR: ASR among records the clean "
    "input is predicted right. Base rate: share called the target class with no trigger. Smallest detectable ASR: the "
    "success rate that this sample would have shown to be above placebo, 8 times of 10."
)
FOCUS = (
    "A share of 1 is all of a head's attention. Excess drift: share of records in which more than 40% of the tokens "
    "look at the trigger most, less the same of placebo words, at a head chosen likewise. Layers and heads are counted "
    "from 0. A head that looks at a trigger and at no placebo is the signature that BadCLM leaves; its absence clears "
    "nothing."
)


def attacks(by_patient: bool, with_p: bool) -> str:
    """Below the table of membership attacks, with a sentence for each column that it has."""
    return " ".join(
        [
            "AUC 0.5 is guessing, 1 is certainty.",
            "TPR at 1% FPR: share of members found when 1 non-member in 100 is wrongly accused.",
            *(["Per patient: all records of a patient together."] if by_patient else []),
            *([_P_HOLM] if with_p else []),
        ]
    )


_P_HOLM = (
    "p (Holm): chance that any of these attacks would look this strong if none told anything; below 0.05 is a finding."
)


def more_attacks(with_p: bool, with_epsilon: bool) -> str:
    """Below the further figures of the same attacks."""
    return " ".join(
        [
            "Records scored: share of records the attack could score.",
            *([_P] if with_p else []),
            *([_EPSILON] if with_epsilon else []),
        ]
    )


_P = (
    "p: chance of an AUC this large when the attack tells nothing (membership permuted over patients), before "
    "correction."
)
_EPSILON = (
    "Epsilon: with 95% confidence the training was not differentially private with a smaller one; 0 shows nothing. "
    "Each is one attack's own bound, not corrected for taking the largest."
)
