"""Rendered faces that show micro-expressions: no photograph is behind them. See `anatomy`, `muscles`, `performance`, `render`."""
