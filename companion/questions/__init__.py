"""The four questions of the article, answered: compute, privacy, explanation, service.

Explained in :doc:`/questions/index`.
"""
