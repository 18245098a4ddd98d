"""How long a run will take on hardware one does not have yet: a simulation fed with measured parts."""
