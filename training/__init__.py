"""The engineers' stage: labelled X-rays in, a run directory with a judged model out."""
