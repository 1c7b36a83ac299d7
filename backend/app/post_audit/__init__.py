"""The Post-Audit Protocol: six watches over a marketplace that decide, act and say why."""
