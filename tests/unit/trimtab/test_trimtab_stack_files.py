import json
import shlex
import stat
from configparser import RawConfigParser
from pathlib import Path

import pytest
import yaml

from spec import NotFound, Settings, SettingsError, SpecError
from trimtab.stack import Stack, airflow, binaries, prepare
from trimtab.stack.processes import Process
from trimtab.stack.supervisor import Supervisor

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Prepare a stack whose home has a name that needs quoting."""
    home = tmp_path_factory.mktemp("a home, 100% odd")
    return prepare(home, MODELS, replay=True, speed=72_000, announce=lambda _: None)


def test_every_server_of_the_design_is_declared(stack: Stack) -> None:
    """The stack has all parts, and two model servers a model."""
    expected = "envoy envoy-2 mlflow airflow-db airflow-api airflow-scheduler airflow-dags airflow-triggerer"
    expected += " prometheus alertmanager flights-blue flights-green exporter receiver slack monitor guard"
    assert set(expected.split()) == set(stack.processes)


def test_guard_and_gateway_are_not_given_up(stack: Stack) -> None:
    """The supervisor goes on trying where nobody else would do their work; others it gives up."""
    config = RawConfigParser()
    config.read(stack.home / "supervisor" / "supervisord.conf")
    patient = {name for name in stack.processes if config[f"program:{name}"].getint("startretries") >= 100}
    assert patient == {"guard", "envoy", "envoy-2"}


def test_the_environment_is_what_settings_read(stack: Stack) -> None:
    """Settings made from the stack's environment name its ports, its clock and both slots."""
    settings = Settings.from_env(stack.environment())
    assert settings.home == stack.home
    assert settings.mlflow_uri == stack.url("mlflow")
    assert settings.slots["flights"]["green"] == stack.url("flights-green")
    assert settings.clock.now().tzinfo is not None
    assert settings.receiver_token_file.read_text()


def test_no_secret_is_in_a_file_that_others_can_read(stack: Stack) -> None:
    """A file that holds a secret has mode 0600."""
    values = [file.read_text() for file in (stack.home / "secrets").iterdir()]
    open_files = [
        file
        for file in stack.home.rglob("*")
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077 and file.suffix != ".db"
    ]
    leaks = [file for file in open_files if any(value in file.read_text() for value in values)]
    assert leaks == []
    assert stat.S_IMODE(stack.home.stat().st_mode) == 0o700


def test_no_secret_is_in_a_command_line(stack: Stack) -> None:
    """Command lines, which every user of the machine can see, hold no secret."""
    values = [file.read_text() for file in (stack.home / "secrets").iterdir()]
    words = [word for process in stack.processes.values() for word in process.argv]
    assert not [word for word in words if any(value in word for value in values)]


def test_supervisord_can_read_odd_paths(stack: Stack) -> None:
    """Spaces and percent signs in the home survive supervisord's quoting and expansions."""
    config = RawConfigParser()
    config.read(stack.home / "supervisor" / "supervisord.conf")
    command = config["program:mlflow"]["command"].replace("%%", "%")
    plan = Path(shlex.split(command)[-1])
    assert json.loads(plan.read_text())["argv"][1:4] == ["-m", "mlflow", "server"]
    assert set(config["group:stack"]["programs"].split(",")) == set(stack.processes)


def test_airflow_is_told_all_addresses_alike(stack: Stack) -> None:
    """Tasks, people and the scheduler use the same server, and no executor starts 32 workers."""
    config = RawConfigParser()
    config.read(airflow.file(stack.home))
    url = stack.url("airflow")
    assert config["core"]["execution_api_server_url"] == f"{url}/execution/"
    assert (config["api"]["base_url"], config["api"]["host"]) == (url, "127.0.0.1")
    assert config["core"]["parallelism"] == "4"
    assert (Path(config["core"]["dags_folder"]) / "retrain_dag.py").is_file()


def test_the_person_and_the_service_differ_at_airflow(stack: Stack) -> None:
    """The user that alerts and commands act as may start runs and nothing more."""
    config = RawConfigParser()
    config.read(airflow.file(stack.home))
    assert config["core"]["simple_auth_manager_users"] == "trimtab:user,admin:admin"
    passwords = json.loads((stack.home / "secrets" / "airflow-passwords.json").read_text())
    assert passwords["trimtab"] == (stack.home / "secrets" / "airflow").read_text()


def test_a_replay_shortens_what_alerts_wait(stack: Stack) -> None:
    """In a replay Alertmanager gathers for less than a simulated day, and rules hold that much shorter."""
    routed = yaml.safe_load((stack.home / "alertmanager" / "alertmanager.yml").read_text())
    assert routed["route"]["group_wait"] == "500ms"
    scraped = yaml.safe_load((stack.home / "prometheus" / "prometheus.yml").read_text())
    assert scraped["rule_files"]
    assert all(Path(file).is_file() for file in scraped["rule_files"])


def test_preparing_again_keeps_ports_and_changes_nothing(stack: Stack) -> None:
    """A second preparation of the same home finds nothing to restart."""
    again = prepare(stack.home, MODELS, replay=True, speed=72_000, announce=lambda _: None)
    assert again.ports == stack.ports
    inputs = [airflow.file(stack.home)]
    again.supervisor.write(again.processes.values(), inputs)
    assert not again.supervisor.write(again.processes.values(), inputs)


def test_a_changed_input_is_noticed(tmp_path: Path) -> None:
    """A stack has changed when a file that its processes read at their start has."""
    supervisor, model = Supervisor(tmp_path, tmp_path / "control"), tmp_path / "model.yaml"
    processes = [Process("one", ("true",))]
    model.write_text("a")
    assert supervisor.write(processes, [model])
    assert not supervisor.write(processes, [model])
    model.write_text("b")
    assert supervisor.write(processes, [model])


def test_a_home_without_a_stack_says_how_to_make_one(tmp_path: Path) -> None:
    """Opening what is not there names the command that makes it."""
    with pytest.raises(NotFound, match="trimtab up --home"):
        Stack.open(tmp_path)
    assert Stack.open_if_there(tmp_path) is None


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    """A stack for no model is not prepared."""
    with pytest.raises(SpecError, match="must hold a model's YAML"):
        prepare(tmp_path / "home", tmp_path)
    assert not (tmp_path / "home").exists()


def test_a_missing_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All missing programs are named at once, each with the command that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError) as error:
        binaries.check_all()
    assert "apt-get install prometheus`," in str(error.value)
    assert "apt-get install prometheus-alertmanager" in str(error.value)


def test_a_program_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variable of a program wins over PATH, and must name a program."""
    program = tmp_path / "my-prometheus"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("TRIMTAB_PROMETHEUS", str(program))
    assert binaries.find(binaries.PROMETHEUS) == str(program)
    monkeypatch.setenv("TRIMTAB_PROMETHEUS", str(tmp_path / "nothing"))
    with pytest.raises(SettingsError, match="TRIMTAB_PROMETHEUS: must be a program"):
        binaries.find(binaries.PROMETHEUS)
