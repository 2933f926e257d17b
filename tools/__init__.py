"""What keeps words and pages true to the program. No part of what is installed."""
