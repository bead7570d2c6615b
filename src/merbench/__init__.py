"""merbench: micro-expression recognition, benchmarked by leave-one-subject-out."""

__version__ = "0.1.0"
