"""From bands to the layers that a model eats: which layers exist, how they are built, how a recipe is fitted.

Works on arrays alone; where they come from (a scene, a stack of patches) is others' business.
"""
