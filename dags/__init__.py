"""The Airflow side: one retrain and one rollout DAG a model, and what they need of Airflow.

`retrain_dag.py` and `rollout_dag.py` are the DAG files; the other modules are imported as an installed
package, because the triggerer does not have the DAG folder on its path. Airflow puts that folder first on the
path of its tasks, so no file in it may have the name of a room.
"""
