"""The classifier as a service: answers over HTTP, with limits, batches, metrics and drift.

Explained in :doc:`/questions/service`. The data flow: a request passes the guard
(:mod:`~companion.service.guard`), the application (:mod:`~companion.service.app`) and the batcher
(:mod:`~companion.service.batching`); what was answered is counted (:mod:`~companion.service.drift`,
:mod:`~companion.service.metrics`).
"""
