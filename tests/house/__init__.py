"""The house rules that no linter knows, as tests over the repository itself."""
