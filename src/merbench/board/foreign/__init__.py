"""Predictions of any origin: CSV, JSON, parquet and printed logs, recognised by content. Nothing that is read is executed."""
