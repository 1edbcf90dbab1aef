"""What every room may lean on: errors, texts, clock, secrets, money, times, phones. Imports nothing of ours."""
