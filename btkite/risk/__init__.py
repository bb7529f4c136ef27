"""The gate that every order passes, in every mode: rules, states, and the book they are judged by."""
