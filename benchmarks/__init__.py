"""What is measured and recorded in the results ledger."""
