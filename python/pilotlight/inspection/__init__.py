"""What a trace is: rates, bursts, periods, gaps, sizes, popularity, holes.

`inspect_trace` measures (`inspection`), `print_inspection` shows it in tables (`tables`), `write_pictures` draws it
(`pictures`, which alone loads the drawing library).
"""

from pilotlight.inspection.inspection import Inspection, inspect_trace

__all__ = ["Inspection", "inspect_trace"]
