"""Which fine-tuning strategy withstands bad films? An experiment on synthetic films, at equal compute."""
