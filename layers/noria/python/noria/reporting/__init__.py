"""Reports people read: single HTML files with pictures, each with a JSON twin."""
