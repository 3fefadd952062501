"""Pictures and their labels: dataset folders, splits, preprocessing, augmentation and the cache of decoded pixels."""
