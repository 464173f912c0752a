"""The obvious implementation, written well: what Admit One is measured against."""
