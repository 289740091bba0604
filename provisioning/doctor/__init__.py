"""What is in the way of working mail: a file for each thing that is checked, and how checks are run (`runner`)."""
