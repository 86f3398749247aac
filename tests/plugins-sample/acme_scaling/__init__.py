"""Acme's machines: what tells of their load, what finds them, what orders them. All by files."""
