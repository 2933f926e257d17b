"""How those who are not at the terminal learn what came of a run.

message:  what is told, made of an outcome alone
way:      one recipient of mail, or the webhook
telling:  whether there is anything new to tell, and the state that keeps it from being told every night
figures:  counters and gauges for Prometheus
log:      lines of JSON for programs

Nothing here names a record or a file of one: a mail, a figure and a line of a log go where the archive's rules on
access do not.
"""
