"""Neural networks without a framework: gradients of dense layers, Adam, and training by minibatches."""
