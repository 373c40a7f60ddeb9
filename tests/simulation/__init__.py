"""The real engine under simulated time, clients, crashes and store faults, all drawn from one seed."""
