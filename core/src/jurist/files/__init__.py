"""Files of records, read and written."""
