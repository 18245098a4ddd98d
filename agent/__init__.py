"""AQAA, the Automated Quality Assessment Agent: measurements and a judge to one verdict."""
