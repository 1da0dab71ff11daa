"""What runs inside a Lambda: events in, answers and errors out, services made on first use."""
