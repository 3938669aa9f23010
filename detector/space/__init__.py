"""The space of embeddings, for people to look at: links among the anchors, in three dimensions."""
