"""Fine-tuning: report model, judge, dual loop. The only room that knows torch, transformers, peft and accelerate."""
