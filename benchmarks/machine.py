"""The machine that figures were measured on, and the memory of this process."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch


def machine() -> dict:
    """Date, processor, cores, threads, load and the versions of what matters: it stands beside every measurement."""
    cpu = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        names = (line.partition(":")[2].strip() for line in cpu_info.read_text().splitlines() if "model name" in line)
        cpu = next(names, cpu)
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_at_start": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "pillow", "numpy")},
    }


def machine_line(found: dict) -> str:
    """What `machine` found, as a line of a report."""
    return "Machine: " + ", ".join(f"{name} {value}" for name, value in found.items()) + "."


def memory_status(field: str) -> int:
    """A figure of this process in bytes (Linux): `"VmRSS"`, memory now, or `"VmHWM"`, its high-water mark."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def restart_high_water_mark() -> None:
    """Set `"VmHWM"` of `memory_status` back to `"VmRSS"`."""
    Path("/proc/self/clear_refs").write_text("5")
