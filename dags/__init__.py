"""The Airflow side: a retrain, a rollout and an experiment DAG for each model, and what they need of Airflow.

The files that end in `_dag.py` are the DAG files; the other modules are imported as an installed package,
because the triggerer does not have the DAG folder on its path. Airflow puts that folder first on the path of
its tasks, so no file in it may have the name of a room.
"""
