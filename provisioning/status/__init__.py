"""What is there now: read from three sides (`read`), compared (`compare`, in the words of `differences`), and shown."""
