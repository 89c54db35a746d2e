"""What travels between the hops: Avro schemas, their codec and typed records.

Imports nothing else of this project.
"""

from schemas.codec import DecodeError, decode, encode
from schemas.records import (
    Alert,
    Control,
    DeadLetter,
    Finding,
    Health,
    LogBatch,
    Notification,
    Record,
    Rollup,
    SampleBatch,
)

__all__ = [
    "Alert",
    "Control",
    "DeadLetter",
    "DecodeError",
    "Finding",
    "Health",
    "LogBatch",
    "Notification",
    "Record",
    "Rollup",
    "SampleBatch",
    "decode",
    "encode",
]
