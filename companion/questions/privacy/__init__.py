"""Privacy: what masking finds, what a gradient tells, and what noise costs.

Explained in :doc:`/questions/privacy`.
"""
