"""Looking at an account while another process runs it, and stopping it: what ``btkite status``, ``orders`` and
``kill`` are made of. Nothing here takes the account's lock or writes its journal."""
