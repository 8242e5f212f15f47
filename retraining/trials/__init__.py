"""The search for hyperparameters and training windows: folds by time, samplers, one study a learner."""
