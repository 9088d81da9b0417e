"""Which device the model runs on."""

import torch

from companion.errors import DeviceError

__all__ = ["DEVICES", "accurate_float", "choose_device", "multiplies_bfloat16"]

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> torch.device:
    """Find a device by name.

    Args:
        name: ``"cpu"``, ``"cuda"`` or ``"mps"``; ``"auto"`` takes the fastest that is there.

    Returns:
        The device.

    Raises:
        DeviceError: If the name is not known or the device is not there.
    """
    available = [
        device
        for device, there in [
            ("cuda", torch.cuda.is_available()),
            ("mps", torch.backends.mps.is_available()),
            ("cpu", True),
        ]
        if there
    ]
    if name not in DEVICES:
        raise DeviceError(f"there is no device {name!r}; choose one of {', '.join(DEVICES)}")
    if name == "auto":
        return torch.device(available[0])
    if name not in available:
        raise DeviceError(
            f"the device {name!r} is not on this machine, "
            f"which has {', '.join(available)}; use 'auto'"
        )
    return torch.device(name)


def accurate_float(device: torch.device) -> torch.dtype:
    """Give the type for sums over many documents: 64 bits, and 32 on ``mps``, which has no more."""
    return torch.float32 if device.type == "mps" else torch.float64


def multiplies_bfloat16(device: torch.device) -> bool:
    """Say whether a device has instructions for products in bfloat16.

    On a CPU they are AVX-512 BF16 or AMX. Without, torch is slow, or has no LSTM of this type.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return False
