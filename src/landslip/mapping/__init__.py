"""From a trained run and a scene to landslides on a map: probability, polygons, attributes, files.

Memory does not grow with the scene: everything goes by bands of rows, and long work leaves parts behind from
which it can be resumed. Nothing here trains, and nothing here changes a scene.
"""
