"""Taking an application that was made by hand under a stack."""
