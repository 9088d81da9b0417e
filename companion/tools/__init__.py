"""The tools chapter, as code: the same step in several frameworks, and the idea of vLLM.

Explained in :doc:`/tools`.
"""
