"""Durations as a person says them."""


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: "12 s", "3 min 20 s", "1 h 05 min", "2 d 03 h"."""
    total = max(0, round(seconds))
    minutes, hours, days = total // 60, total // 3_600, total // 86_400
    if minutes == 0:
        return f"{total} s"
    if hours == 0:
        return f"{minutes} min {total % 60:02d} s"
    if days == 0:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{days} d {hours % 24:02d} h"
