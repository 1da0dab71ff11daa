from infra.local import emulator
from infra.local.emulator import Emulator


def test_a_killed_simulation_does_not_stop_the_stages_clock(monkeypatch, tmp_path):
    """`noria up` puts the stage back into real time, also where the emulator runs already."""
    monkeypatch.setattr(Emulator, "is_running", lambda self: True)
    monkeypatch.setattr(Emulator, "_known", lambda self: {"pid": 1})
    monkeypatch.setattr(emulator, "_is_ours", lambda pid: True)
    stage = Emulator(tmp_path, 4567)
    stage.clock_file.write_text("2026-03-01T00:00:00+00:00")
    assert not stage.start()
    assert not stage.clock_file.exists()
