"""What a run would ask for and cost, without a call."""
