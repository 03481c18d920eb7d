"""Everything people see of an audit: card, figures, JSON, SARIF and Markdown."""
