"""From metrics to people and to Airflow: Prometheus rules, Alertmanager routes, the retrain receiver."""
