"""Studies before their data: designs, assumed parameters, power by simulation."""
