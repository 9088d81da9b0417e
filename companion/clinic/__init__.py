"""The bug clinic: functions with one silent bug each, and a checker that names the symptom.

Explained in :doc:`/clinic`. ``check`` tries a function and says what it does wrong, not how to put
it right; ``patients`` has the functions with the bugs to begin from.
"""

from companion.clinic.checker import Diagnosis, cases, check

__all__ = ["Diagnosis", "cases", "check"]
