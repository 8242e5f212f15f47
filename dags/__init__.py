"""The Airflow side: one retrain and one rollout DAG a model, and what they need of Airflow.

`retrain_dag.py` and `rollout_dag.py` are the DAG files; the other modules are imported as an installed package,
because the triggerer does not have the DAG folder on its path.
"""
